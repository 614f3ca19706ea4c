# SPDX-License-Identifier: MIT
"""What there is to play on: libraries, servers with their period, cards and devices."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from rtcore.doctor.machine import Machine, install
from rtcore.doctor.probe import ask
from rtcore.doctor.record import Fix, Judgement, bad, good, improve, unknown

_LONG_MS = 6.0
_SETTING = re.compile(r"key:'([\w.-]+)' value:'([^']*)'")


def libraries(machine: Machine) -> list[Judgement]:
    """Try the two ways to a sound card, libjack and PortAudio, and tell what they show."""
    jack, portaudio = ask("jack"), ask("portaudio")
    found = [_library(machine, "libjack", jack), _library(machine, "PortAudio", portaudio)]
    if "error" not in jack:
        found.append(jack_server(machine, jack))
    if "error" not in portaudio:
        found.append(_devices(portaudio))
    if "error" in jack and "error" in portaudio:
        what = "neither libjack nor PortAudio can be used, so no sound card can be played"
        remedy = "install one of the two"
        found.append(bad("way to a sound card", what, remedy, impossible=True))
    return found


def _library(machine: Machine, name: str, answer: dict[str, Any]) -> Judgement:
    if "error" not in answer:
        version = str(answer.get("version", "")).partition(",")[0].removeprefix("PortAudio ")
        return good(name, f"can be loaded{version and f' ({version})'}")
    if name == "libjack":
        command = install(
            machine,
            debian="libjack-jackd2-0 jackd2",
            fedora="pipewire-jack-audio-connection-kit",
            arch="pipewire-jack",
        )
    else:
        command = install(machine, debian="libportaudio2", fedora="portaudio", arch="portaudio")
    fixes = (Fix(command, root=True),) if command else ()
    short = str(answer["error"]).partition(";")[0].removeprefix("backend jack: ")
    short = short.removeprefix("backend portaudio: ")
    return improve(name, f"cannot be used: {short}", f"install {name}", *fixes)


def jack_server(machine: Machine, answer: dict[str, Any]) -> Judgement:
    """Judge the JACK server's rate, period and priority (jackd(1): -r, -p, -R)."""
    if not answer.get("server"):
        if answer.get("missing"):
            text = "none runs"
            if "pipewire" in machine.processes:
                text += " by this name; PipeWire may stand in for it (pw-jack)"
            return good("JACK server", f"{text}; rtcore starts none")
        return unknown("JACK server", str(answer.get("reason", "gave no answer")))
    rate, block = int(answer["rate_hz"]), int(answer["block_frames"])
    period_ms = 1e3 * block / max(rate, 1)
    found = f"runs at {rate} Hz with {block} frames, {period_ms:.3g} ms"
    figures = {key: answer[key] for key in ("rate_hz", "block_frames", "realtime")}
    if not answer["realtime"]:
        remedy = "start it with real-time priority: jackd -R -P 70 …"
        return improve("JACK server", f"{found}, without real-time priority", remedy, **figures)
    if period_ms > _LONG_MS:
        remedy = "start it with a shorter period"
        fix = Fix("jack_bufsize 64", lasts=False)
        return improve("JACK server", found, remedy, fix, **figures)
    return good("JACK server", f"{found}, with real-time priority", **figures)


def _devices(answer: dict[str, Any]) -> Judgement:
    names = [str(name) for name in answer.get("devices", [])]
    if names:
        more = f" and {len(names) - 2} more" if len(names) > 2 else ""
        return good("sound devices", "; ".join(names[:2]) + more, devices=names)
    remedy = "plug one in or start the sound server; rtcore demo needs none"
    return improve("sound devices", "PortAudio finds none", remedy, devices=[])


def servers(machine: Machine) -> list[Judgement]:
    """Which sound servers run, and PipeWire's quantum (pipewire(1), runtime settings)."""
    known = ("jackd", "jackdbus", "pipewire", "pipewire-pulse", "wireplumber", "pulseaudio")
    running = [name for name in known if name in machine.processes]
    if not running:
        return [good("sound servers", "none runs; rtcore may open a card by itself")]
    found = [good("sound servers", f"{', '.join(running)} {'run' if len(running) > 1 else 'runs'}")]
    if "pipewire" in running:
        found.append(quantum(machine))
    elif "pulseaudio" in running and not {"jackd", "jackdbus"} & set(running):
        found.append(
            improve(
                "PulseAudio",
                "adds tens of milliseconds, and holds the card",
                "play through JACK, or let PulseAudio go meanwhile: pasuspender -- rtcore run …",
            )
        )
    return found


def quantum(machine: Machine) -> Judgement:
    """PipeWire's block, which holds for its JACK and ALSA clients."""
    printed = machine.run(("pw-metadata", "-n", "settings", "0"))
    settings = dict(_SETTING.findall(printed or ""))
    numbers = {
        key: int(value) for key, value in settings.items() if re.fullmatch(r"\d{1,9}", value)
    }
    block = numbers.get("clock.force-quantum") or numbers.get("clock.quantum")
    rate = numbers.get("clock.force-rate") or numbers.get("clock.rate")
    if not block or not rate:
        return unknown("PipeWire quantum", "pw-metadata does not tell", "install pipewire's tools")
    period_ms = 1e3 * block / rate
    forced = " (forced)" if numbers.get("clock.force-quantum") else ""
    found = f"{block} frames at {rate} Hz{forced}, {period_ms:.3g} ms"
    figures = {"block_frames": block, "rate_hz": rate}
    if period_ms <= _LONG_MS:
        return good("PipeWire quantum", found, **figures)
    return improve(
        "PipeWire quantum",
        found,
        "force a shorter one while you play (0 undoes it), or start with PIPEWIRE_LATENCY=64/48000",
        Fix("pw-metadata -n settings 0 clock.force-quantum 64", lasts=False),
        **figures,
    )


def cards(machine: Machine) -> Judgement:
    """List the sound cards that the kernel drives (ALSA, /proc/asound/cards)."""
    text = machine.text("/proc/asound/cards")
    names = re.findall(r"^\s*\d+ \[[^\]]*\]: (.+)$", text or "", re.MULTILINE)
    if names:
        return good("sound cards", "; ".join(name.strip() for name in names), cards=names)
    why = "the kernel has no sound" if text is None else "none"
    if machine.container:
        remedy = "give the container the card: docker run --device /dev/snd --group-add audio"
    else:
        remedy = "plug in a sound card; rtcore demo and the timer backend need none"
    return improve("sound cards", why, remedy, cards=[])


CHECKS: dict[str, Callable[[Machine], Judgement | list[Judgement]]] = {
    "sound cards": cards,
    "sound servers": servers,
    "sound libraries": libraries,
}

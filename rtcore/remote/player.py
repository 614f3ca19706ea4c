# SPDX-License-Identifier: MIT
"""An engine that is steered: started and stopped again, its chain exchanged, bypassed, muted.

Only one thread steers.  The audio thread is never waited for: each change goes through the queue
of commands that every chain has.
"""

from __future__ import annotations

import contextlib
import reprlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from rtcore.chain import Chain, standin
from rtcore.chain.checks import check_same_stream
from rtcore.chain.config import ChainConfig, config_from_chain, parse
from rtcore.chain.graph import Element
from rtcore.engine import Engine
from rtcore.errors import ConfigError, RemoteError, RtcoreError
from rtcore.host import find
from rtcore.remote import paths
from rtcore.remote.texts import check_texts

#: Of a chain that comes over the network.
MAX_PLUGINS = 256
_RUNNING = ("starting", "running", "reopening")
_SILENT_DB = -120.0


def _count(elements: Sequence[Element]) -> int:
    """Count plugins, those in branches and the branches included."""
    branches = [branch for one in elements for branch in getattr(one, "branches", ())]
    return len(elements) + len(branches) + sum(map(_count, branches))


def _put_aside(chain: Chain, places: Sequence[str]) -> None:
    """Bypass plugins of a chain that does not play yet."""
    for place in places:
        chain.bypass(place)
    chain.stream.settle()


class Player:
    """Steers an engine.

    Parameters
    ----------
    chain : Chain
        What plays.
    make_engine : function
        Makes an engine for a chain, with a fresh backend; an engine plays only once.
    on_event : function, optional
        Called with each change: a mapping that JSON can hold.
    """

    def __init__(
        self,
        chain: Chain,
        make_engine: Callable[[Chain], Engine],
        on_event: Callable[[dict[str, Any]], None] | None = None,
    ) -> None:
        self._playing = chain
        self._aside: Chain | None = None  # what bypass or mute has put out of the way
        self._stand_in = ""
        self._make_engine = make_engine
        self._tell = on_event or (lambda _event: None)
        self.engine: Engine | None = None
        self._volume_db: float | None = None
        self._bypass = self._mute = False
        self._aimed: dict[int, dict[str, Any]] = {}  # number of the plugin: new values
        self._aimed_paths: dict[str, Any] = {}

    @property
    def chain(self) -> Chain:
        """The chain that is steered; not what is heard while bypass is on."""
        return self._playing if self._aside is None else self._aside

    @property
    def state(self) -> str:
        """The engine's; ``idle`` before the first start."""
        return "idle" if self.engine is None else self.engine.state

    def _runs(self) -> bool:
        return self.state in _RUNNING

    # --- life ---------------------------------------------------------------------------------

    def start(self) -> None:
        """Let it play.

        Raises
        ------
        RemoteError
            Where it plays already.
        RtcoreError
            Where the device refuses.
        """
        if self._runs():
            raise RemoteError(f"the engine is {self.state} already; stop it first, or reopen")
        self._end("started anew")
        self.engine = self._make_engine(self._playing)
        self.engine.start()
        if self.engine.safety.enabled:
            if self._volume_db is not None:
                self.engine.set_volume_db(self._volume_db)
            if self._mute:
                self.engine.panic()

    def stop(self, reason: str = "stopped by a client") -> None:
        """Let it be silent and close the device; does nothing where it does not play."""
        if self.engine is not None and self._runs():
            self._end(reason)

    def reopen(self) -> None:
        """Close the device and open it again, with the chain as it stands."""
        self.stop("reopened by a client")
        self.start()

    def _end(self, reason: str) -> None:
        if self.engine is not None:
            with contextlib.suppress(RtcoreError):  # it says so in its state
                self.engine.stop(reason)
            self._settle()

    def _settle(self) -> None:
        """Take changes at once where nothing plays, so that they never fill the queue."""
        if not self._runs():
            self._playing.stream.settle()
        if self._aside is not None:
            self._aside.stream.settle()

    # --- values -------------------------------------------------------------------------------

    def read(self, path: str) -> Any:
        """Give the value of a path.

        Raises
        ------
        RtcoreError
            Where there is none.
        """
        if path in paths.ENGINE:
            return self.summary()[path.removeprefix("engine/")]
        return paths.read_value(self.chain, path)

    def write(self, values: Mapping[str, Any]) -> None:
        """Give values to paths; where one is refused, nothing is changed.

        Raises
        ------
        RtcoreError
            Naming the path.
        """
        of_chain = {path: value for path, value in values.items() if path not in paths.ENGINE}
        of_engine = {path: value for path, value in values.items() if path in paths.ENGINE}
        for path, value in values.items():
            check_texts(value, path)
        for path, value in of_engine.items():
            self._check_engine(path, value)
        if of_chain:
            paths.write_values(self.chain, of_chain)
            self._settle()
        for path, value in of_engine.items():
            if path == "engine/volume_db":
                self.set_volume_db(float(value))
            elif path == "engine/bypass":
                self.bypass(on=value)
            else:
                self.mute(on=value)
        self._tell({"event": "set", "values": dict(values)})

    def aim(self, values: Mapping[str, Any]) -> bool:
        """Check new values of live parameters, and keep them for :meth:`flush`.

        Returns
        -------
        bool
            False where one of the paths is no live parameter; :meth:`write` is for these.

        Raises
        ------
        RtcoreError
            Where a value is refused; none is kept then.
        """
        if any(path in paths.ENGINE for path in values):
            return False
        live = paths.live_values(self.chain, values)
        if live is not None:
            for number, name, value in live:
                self._aimed.setdefault(number, {})[name] = value
            self._aimed_paths.update(values)
        return live is not None

    def flush(self) -> None:
        """Hand the values that were kept to the chain; they take effect at one and the same frame.

        Raises
        ------
        RtcoreError
            Where it refuses; they are dropped then.
        """
        if self._aimed:
            aimed, self._aimed = self._aimed, {}
            values, self._aimed_paths = self._aimed_paths, {}
            for number, settings in aimed.items():
                self.chain.update(number, **settings)
            self._settle()
            self._tell({"event": "set", "values": values})

    def _check_engine(self, path: str, value: Any) -> None:
        if path == "engine/state":
            raise RemoteError("engine/state: can only be read; use start, stop or reopen")
        if path == "engine/volume_db":
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if not number or not _SILENT_DB <= value <= 0.0:
                found = reprlib.repr(value)
                what = f"must be a number from {_SILENT_DB:g} to 0 dB, got {found}"
                raise RemoteError(f"{path}: {what}")
            self._need_safety(path)
        elif not isinstance(value, bool):
            raise RemoteError(f"{path}: must be true or false, got {reprlib.repr(value)}")

    def _need_safety(self, path: str) -> None:
        if self.engine is not None and not self.engine.safety.enabled:
            msg = (
                f"{path}: this engine plays without the safety stage, which holds the volume; "
                "put a gain plugin into the chain"
            )
            raise RemoteError(msg)

    def set_volume_db(self, volume_db: float) -> None:
        """Turn the volume of the last stage; it stays when the engine is started again."""
        self._volume_db = volume_db
        if self.engine is not None and self._runs():
            self.engine.set_volume_db(volume_db)

    # --- other chains -------------------------------------------------------------------------

    def load(self, config: Mapping[str, Any], bypassed: Sequence[str] = ()) -> None:
        """Cross-fade to a chain given by the keys of a chain file; the stream stays as it is.

        Parameters
        ----------
        config, bypassed
            The chain, and the places of its plugins that are to be bypassed.

        Raises
        ------
        RtcoreError
            Where it is no chain, or does not suit the stream; the old one plays on.
        """
        check_texts(config, "chain")
        self.take(parse(config), typed="dtype" in config, bypassed=bypassed)

    def take(
        self, config: ChainConfig, *, typed: bool = True, bypassed: Sequence[str] = ()
    ) -> None:
        """Cross-fade to a chain that was read; see :meth:`load`.

        Parameters
        ----------
        config : ChainConfig
            Rate and channels that it leaves open are the stream's.
        typed : bool
            Whether it says itself what type its samples have.
        bypassed : sequence of str
            Places of plugins that are bypassed.
        """
        count = _count(config.elements)
        if count > MAX_PLUGINS:
            what = f"a chain may have at most {MAX_PLUGINS} plugins, got {count}"
            raise ConfigError("plugin", f"{what}; leave some out")
        new = self._built(config, typed=typed)
        _put_aside(new, bypassed)
        if self._aside is not None:
            check_same_stream(self._playing.table.graph, new.table.graph)
            self._aside = new
        else:
            self._playing.swap(new)
        self._settle()
        self._tell({"event": "load", "plugins": [p.node.plugin.id for p in self.chain.nodes]})

    def _built(self, config: ChainConfig, *, typed: bool = True) -> Chain:
        spec = self._playing.spec
        return config.override(
            sample_rate=spec.sample_rate if config.sample_rate is None else None,
            channels=spec.channels if config.channels is None else None,
            dtype=None if typed else str(spec.dtype),
            max_frames=spec.max_frames,
            block_frames=self._playing.table.graph.block_frames,
        ).build()

    def bypass(self, *, on: bool) -> None:
        """Let the sound pass unprocessed, at the chain's latency, or process it again."""
        before, self._bypass = self._bypass, on
        try:
            self._arrange()
        except BaseException:
            self._bypass = before
            raise
        self._tell({"event": "bypass", "on": on})

    def mute(self, *, on: bool) -> None:
        """Be silent, or let the sound fade in again.

        With the safety stage within 5 ms; without one a chain 240 dB down is faded in.
        """
        before, self._mute = self._mute, on
        try:
            if self.engine is not None and self.engine.safety.enabled:
                self.engine.panic(on=on)
            self._arrange()
        except BaseException:
            self._mute = before
            raise
        self._tell({"event": "mute", "on": on})

    def _wanted(self) -> str:
        safe = self.engine is not None and self.engine.safety.enabled
        if self._mute and not safe:
            return "mute"
        return "bypass" if self._bypass else ""

    def _arrange(self) -> None:
        """Let the chain, or what stands in for it, play, as bypass and mute ask for."""
        wanted = self._wanted()
        if wanted == self._stand_in:
            return
        aside = self._aside
        if aside is None:
            aside = self._built(parse(config_from_chain(self._playing)))
            _put_aside(aside, standin.bypassed(self._playing))
        self._playing.swap(self._other(wanted, aside.latency_frames) if wanted else aside)
        self._aside = aside if wanted else None
        self._stand_in = wanted
        self._settle()

    def _other(self, kind: str, latency_frames: int) -> Chain:
        """Build what stands in for the chain: its delay only, or silence."""
        elements: list[Element] = [find("delay")(delay_frames=latency_frames)]
        if kind == "mute":
            elements += [find("gain")(gain_db=_SILENT_DB) for _ in range(2)]
        return self._built(ChainConfig(elements, dtype=str(self._playing.spec.dtype)))

    # --- snapshots ----------------------------------------------------------------------------

    def snapshot(self) -> dict[str, Any]:
        """Give all that decides what is heard; :meth:`restore` takes it back."""
        return {
            "chain": config_from_chain(self.chain),
            "bypassed": standin.bypassed(self.chain),
            "volume_db": 0.0 if self._volume_db is None else self._volume_db,
            "bypass": self._bypass,
            "mute": self._mute,
        }

    def restore(
        self,
        chain: Mapping[str, Any],
        volume_db: float,
        *,
        bypass: bool,
        mute: bool,
        bypassed: Sequence[str] = (),
    ) -> None:
        """Take back a snapshot: the chain first, and nothing else where that is refused."""
        self.load(chain, bypassed)
        self.set_volume_db(volume_db)
        self.bypass(on=bypass)
        self.mute(on=mute)

    def summary(self) -> dict[str, Any]:
        """Say in a few words how it stands."""
        chain = self.chain
        volume_db = self._volume_db
        if volume_db is None:
            volume_db = 0.0 if self.engine is None else self.engine.safety.start_db
        return {
            "state": self.state,
            "reason": "" if self.engine is None else self.engine.stop_reason,
            "backend": "" if self.engine is None else self.engine.backend.name,
            "sample_rate": chain.sample_rate,
            "channels": [chain.channels_in, chain.channels_out],
            "latency_frames": chain.latency_frames,
            "volume_db": volume_db,
            "bypass": self._bypass,
            "mute": self._mute,
        }

    def close(self) -> None:
        """End everything."""
        self.stop("the server has ended")

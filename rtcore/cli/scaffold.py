# SPDX-License-Identifier: MIT
"""A new plugin for a user to edit: working, commented, and ready to be heard."""

from __future__ import annotations

import keyword
import os
import re
import secrets
from contextlib import suppress
from pathlib import Path

from rtcore.errors import PluginError

_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")

TEMPLATE = '''\
"""{title}: a plugin of mine."""

from rtcore import Param, Plugin, kernel
from rtcore.parameters import db_to_amplitude


class {cls}(Plugin):
    """Make the sound louder or softer."""  # what it does, in one line for `rtcore plugins`

    # The name in chain files and on the command line.
    id = "{name}"

    # What a user may turn while it plays. With a smoothing time the kernel gets one value per
    # frame, so that a change never clicks; `convert` turns the user's decibels into the factor
    # that the kernel multiplies by, and `kernel_name` is what the kernel calls it.
    gain_db = Param(
        -6.0,
        min=-60.0,
        max=20.0,
        unit="dB",
        smoothing_s=0.02,
        kernel_name="gain",
        convert=db_to_amplitude,
        doc="how much louder; negative is softer",
    )

    # Numbers that are kept from one block to the next would be declared like this, and reached
    # in the kernel as state.level:
    #
    #     state = {{"level": "real"}}

    # This function becomes machine code and plays without Python. x is the sound that comes in,
    # y the sound that goes out, both [channel, frame]; every sample of y must be written. Use
    # plain loops and arithmetic: what allocates memory (np.zeros, y[:] = x * 2 + x) is refused,
    # with its line.
    @kernel
    def process(x, y, gain):
        for c in range(x.shape[0]):
            for i in range(x.shape[1]):
                y[c, i] = gain[i] * x[c, i]
'''


def check_name(name: str) -> None:
    """Refuse names that cannot be a module's and a plugin's.

    Raises
    ------
    PluginError
        With what a name looks like.
    """
    if not _NAME.fullmatch(name) or keyword.iskeyword(name):
        what = "is no name for a plugin; use small letters, digits and _, such as mygain"
        raise PluginError(f"'{name}' {what}")


def class_name(name: str) -> str:
    """Write ``my_gain`` as ``MyGain``."""
    return "".join(part[:1].upper() + part[1:] for part in name.split("_"))


def write_plugin(name: str, folder: Path) -> Path:
    """Write a new plugin file.

    Parameters
    ----------
    name : str
        Checked by :func:`check_name`.
    folder : Path
        Made where it is not there.

    Returns
    -------
    Path
        The new file.

    Raises
    ------
    PluginError
        Where there is such a file already, or the folder cannot be written.
    """
    file = folder / f"{name}.py"
    title = name.replace("_", " ").capitalize()
    part = folder / f".rtcore-{secrets.token_hex(6)}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            with part.open("x", encoding="utf-8") as out:
                out.write(TEMPLATE.format(name=name, cls=class_name(name), title=title))
            _name_new(part, file)
        finally:
            with suppress(OSError):
                part.unlink()
    except FileExistsError:
        if file.exists():
            what = "is there already; choose another name, or edit that file"
            raise PluginError(f"{file}: {what}") from None
        raise PluginError(f"{folder}: is no folder; choose another one with --dir") from None
    except OSError as error:
        what = f"cannot be written ({error.strerror}); choose another folder with --dir"
        raise PluginError(f"{file}: {what}") from error
    return file


def _name_new(part: Path, file: Path) -> None:
    """Give a whole file its name; unlike a rename, never over a file that is there."""
    try:
        os.link(part, file)
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        if os.path.lexists(file):
            raise FileExistsError(file) from None
        part.rename(file)

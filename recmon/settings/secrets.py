"""Looks up secrets where the settings say they are; what is found is never shown or logged."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

from recmon.errors import SecretMissing
from recmon.logs import printable, remember_secret
from recmon.settings.model import Secret, SecretRef

KEYRING_SERVICE = "recmon"
"""Under this name `keyring set recmon NAME` keeps secrets for us."""

LARGEST_SECRET = 64 * 1024


def reveal_secret(ref: SecretRef) -> Secret:
    """Return a secret; from now on every log masks it.

    Reads a file, or asks the system's key store, which may take seconds.

    Args:
        ref: of one of the schemes `env`, `file` and `keyring`; a file by its absolute path.

    Raises:
        SecretMissing: it is not there, or others could read it; the text says what to do.
    """
    match ref.scheme:
        case "env":
            value = _from_environment(ref.name)
        case "file":
            value = _from_file(Path(ref.name))
        case "keyring":
            value = _from_keyring(ref.name)
        case _:
            raise SecretMissing((f"{printable(str(ref))}: secrets are kept in keyring:, env: or file:",))
    remember_secret(value)
    return Secret(value)


def reveal_or_make(ref: SecretRef, make: Callable[[], str]) -> Secret:
    """Return a secret; one that is missing in the system's key store is made and put there.

    Args:
        ref: of any scheme; only in the key store something is made.
        make: returns the new secret.

    Raises:
        SecretMissing: it is neither there nor can be put there; the text says what to do.
    """
    if ref.scheme != "keyring":
        return reveal_secret(ref)
    import keyring  # see `_from_keyring`
    from keyring.errors import KeyringError

    try:
        is_there = bool(keyring.get_password(KEYRING_SERVICE, ref.name))
    except (KeyringError, OSError, RuntimeError):
        return reveal_secret(ref)  # which says what is wrong
    if not is_there:
        try:
            keyring.set_password(KEYRING_SERVICE, ref.name, make())
        except (KeyringError, OSError, RuntimeError) as error:
            raise SecretMissing(
                (f"keyring:{printable(ref.name)}: the system's key store takes no new key; is it unlocked?",)
            ) from error
    return reveal_secret(ref)


def _from_environment(name: str) -> str:
    value = os.environ.get(name)
    if not value:
        state = "is empty" if value == "" else "is not set"
        raise SecretMissing((f"env:{printable(name)}: the environment variable {state}",))
    return value


def _from_file(path: Path) -> str:
    place = f"file:{printable(str(path))}"
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):
            raise SecretMissing((f"{place}: this is not a file",))
        if os.name == "posix" and mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise SecretMissing((f"{place}: others may read this file; make it your own with `chmod 600`",))
        with path.open("rb") as file:
            data = file.read(LARGEST_SECRET + 1)
    except OSError as error:
        raise SecretMissing((f"{place}: the file cannot be read: {error.strerror or error}",)) from error
    if len(data) > LARGEST_SECRET:
        raise SecretMissing((f"{place}: the file is too large for a secret",))
    try:
        value = data.decode("utf-8-sig").removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        # Without the cause: it carries the bytes, which are the secret.
        raise SecretMissing((f"{place}: the file is not UTF-8 text",)) from None
    if not value:
        raise SecretMissing((f"{place}: the file is empty",))
    return value


def _from_keyring(name: str) -> str:
    # Here and not above: it takes a fifth of a second, and most settings need no key store.
    import keyring
    from keyring.errors import KeyringError, NoKeyringError

    place = f"keyring:{printable(name)}"
    try:
        value = keyring.get_password(KEYRING_SERVICE, name)
    except NoKeyringError as error:
        help_text = "this system has no key store that can be used; use env: or file: instead"
        raise SecretMissing((f"{place}: {help_text}",)) from error
    except (KeyringError, OSError, RuntimeError) as error:
        raise SecretMissing(
            (f"{place}: the system's key store did not answer ({type(error).__name__}); is it unlocked?",)
        ) from error
    if not value:
        advice = f"put it there with `keyring set {KEYRING_SERVICE} {printable(name)}`"
        raise SecretMissing((f"{place}: not in the system's key store; {advice}",))
    return value

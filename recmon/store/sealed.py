"""Recordings encrypted at rest: AES-GCM in blocks, so that any place can be read without the rest.

A sealed file begins with a head: `RECMSEAL`, the version (1 byte), 3 zero bytes, the key's mark (8 bytes)
and a random salt (16 bytes). Then come blocks of 64 KiB of the recording, the last one as long as what is
left: a random nonce (12 bytes), the encrypted bytes, and the tag (16 bytes). Each file has a key of its own,
derived from the cache's key and the salt; place and "this is the last block" are authenticated with each
block, so that blocks can be neither swapped between places or files nor cut off at the end unnoticed.
"""

from __future__ import annotations

import hashlib
import os
import struct
from io import SEEK_CUR, SEEK_END, SEEK_SET
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from recmon.errors import RecordingAltered, SecretMissing

BLOCK = 64 * 1024
"""Bytes of the recording in one block."""

KEY_SIZE = 32

_MAGIC = b"RECMSEAL"
_HEAD = struct.Struct("8sB3x8s16s")
_NONCE = 12
_TAG = 16
_SEALED_BLOCK = _NONCE + BLOCK + _TAG
_ALTERED = "the encrypted file was changed or damaged on this computer"


class SealKey:
    """The cache's key; its `repr` does not show it.

    Args:
        key: 32 random bytes.
    """

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_SIZE:
            raise ValueError(f"a key has {KEY_SIZE} bytes")
        self._key = key
        self.mark = hashlib.sha256(b"recmon cache key\0" + key).digest()[:8]

    def __repr__(self) -> str:
        return "SealKey(****)"

    def cipher(self, salt: bytes) -> AESGCM:
        """Return the cipher of the file with this salt."""
        derive = HKDF(algorithm=SHA256(), length=KEY_SIZE, salt=salt, info=b"recmon recording")
        return AESGCM(derive.derive(self._key))

    def open(self, path: Path, mode: str) -> SealedFile:
        """Open a sealed file; an opener for `GrowingFile`.

        Raises:
            OSError: the file system does not allow it.
            RecordingAltered: it is no whole sealed file.
            SecretMissing: it was sealed with another key.
        """
        return SealedFile(path, mode, self)


class SealedFile:
    """An open sealed file, in positions of the recording. Bytes are only ever added at its end.

    Made for one thread at a time. The last block is written by `flush` and `close`. One that was never closed
    can be opened to go on with its whole blocks.
    """

    def __init__(self, path: Path, mode: str, key: SealKey) -> None:
        self._file = open(path, mode, buffering=0)  # noqa: SIM115  (closed by `close`)
        self._is_writable = mode != "rb"
        self._position = 0
        self._whole_blocks = 0
        self._tail = bytearray()
        self._is_tail_written = True
        self._cached: tuple[int, bytes] = (-1, b"")
        try:
            if mode == "w+b":
                salt = os.urandom(16)
                self._write_at(0, _HEAD.pack(_MAGIC, 1, key.mark, salt))
                self._cipher = key.cipher(salt)
                self._is_tail_written = False
            else:
                self._cipher = self._read_head(key)
                self._find_end()
        except BaseException:
            self._file.close()
            raise

    def seek(self, offset: int, whence: int = SEEK_SET, /) -> int:
        """Set the position; return it."""
        base = {SEEK_SET: 0, SEEK_CUR: self._position, SEEK_END: self._size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def read(self, size: int = -1, /) -> bytes:
        """Return up to `size` bytes from the position; -1 means all.

        Raises:
            RecordingAltered: a block is not what was written.
            OSError: the disk does not give it.
        """
        end = self._size if size < 0 else min(self._size, self._position + size)
        parts: list[bytes] = []
        while self._position < end:
            index, offset = divmod(self._position, BLOCK)
            piece = self._block(index)[offset : offset + end - self._position]
            parts.append(bytes(piece))
            self._position += len(piece)
        return b"".join(parts)

    def write(self, data: memoryview | bytes, /) -> int:
        """Add bytes at the end.

        Raises:
            OSError: the disk does not take them; nothing was added beyond what `write` returned before.
        """
        if self._position != self._size:
            raise ValueError("a sealed file only grows at its end")
        view = memoryview(data)
        if len(self._tail) == BLOCK:
            self._write_block(self._whole_blocks, bytes(self._tail), is_last=False)
            self._whole_blocks += 1
            self._tail.clear()
        taken = min(len(view), BLOCK - len(self._tail))
        self._tail += view[:taken]
        self._is_tail_written = False
        self._position += taken
        return taken

    def truncate(self, size: int, /) -> int:
        """Cut off everything behind the first `size` bytes; return that.

        Raises:
            RecordingAltered: there are fewer, or the block in which they end is not what was written.
            OSError: the disk does not allow it.
        """
        if size > self._size:
            raise RecordingAltered(_ALTERED)
        if size < self._size:
            blocks, rest = divmod(size, BLOCK)
            self._tail = bytearray(self._block(blocks)[:rest])
            self._whole_blocks, self._cached = blocks, (-1, b"")
            self._file.truncate(_HEAD.size + blocks * _SEALED_BLOCK)
            self._is_tail_written = False
        return size

    def flush(self) -> None:
        """Write the last block, so that the file on the disk is whole."""
        if not self._is_tail_written:
            self._write_block(self._whole_blocks, bytes(self._tail), is_last=True)
            self._is_tail_written = True

    def close(self) -> None:
        """Write the last block and let go of the file."""
        try:
            if self._is_writable:
                self.flush()
        finally:
            self._file.close()

    @property
    def _size(self) -> int:
        return self._whole_blocks * BLOCK + len(self._tail)

    def _block(self, index: int) -> bytes | bytearray:
        if index == self._whole_blocks:
            return self._tail
        if self._cached[0] != index:
            self._cached = (index, self._read_block(index, BLOCK, is_last=False))
        return self._cached[1]

    def _read_head(self, key: SealKey) -> AESGCM:
        head = self._file.read(_HEAD.size)
        magic, version, mark, salt = _HEAD.unpack(head) if len(head) == _HEAD.size else (b"", 0, b"", b"")
        if magic != _MAGIC or version != 1:
            raise RecordingAltered(_ALTERED)
        if mark != key.mark:
            raise SecretMissing(
                ("the key of the encrypted recordings is not the one they were written with",)
            )
        return key.cipher(salt)

    def _find_end(self) -> None:
        payload = self._file.seek(0, SEEK_END) - _HEAD.size
        self._whole_blocks, rest = divmod(payload, _SEALED_BLOCK)
        if rest == 0 and self._whole_blocks:
            self._whole_blocks, rest = self._whole_blocks - 1, _SEALED_BLOCK
        length = rest - _NONCE - _TAG
        try:
            if length < 0:
                raise RecordingAltered(_ALTERED)
            self._tail = bytearray(self._read_block(self._whole_blocks, length, is_last=True))
        except RecordingAltered:
            if not self._is_writable:
                raise
            # It was never closed: what stands behind its whole blocks is unknown.
            self._whole_blocks = payload // _SEALED_BLOCK
            self._is_tail_written = False

    def _read_block(self, index: int, length: int, *, is_last: bool) -> bytes:
        self._file.seek(_HEAD.size + index * _SEALED_BLOCK)
        wanted = _NONCE + length + _TAG
        sealed = bytearray()
        while len(sealed) < wanted and (piece := self._file.read(wanted - len(sealed))):
            sealed += piece
        try:
            return self._cipher.decrypt(
                bytes(sealed[:_NONCE]), bytes(sealed[_NONCE:]), _authenticated(index, is_last=is_last)
            )
        except (InvalidTag, ValueError) as error:
            raise RecordingAltered(_ALTERED) from error

    def _write_block(self, index: int, data: bytes, *, is_last: bool) -> None:
        nonce = os.urandom(_NONCE)
        sealed = self._cipher.encrypt(nonce, data, _authenticated(index, is_last=is_last))
        self._write_at(_HEAD.size + index * _SEALED_BLOCK, nonce + sealed)

    def _write_at(self, place: int, data: bytes) -> None:
        self._file.seek(place)
        remaining = memoryview(data)
        while remaining:
            remaining = remaining[self._file.write(remaining) :]


def _authenticated(index: int, *, is_last: bool) -> bytes:
    return struct.pack(">QB", index, is_last)

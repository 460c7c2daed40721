"""What holds a private database, and how all of it is read and replaced at once.

A file is the rule: connections lock each other exactly as they do in the app's own file. A
database of SQLite's in-memory file system would be cheaper, but there nobody can begin to read
while somebody writes; it stands in only for databases that were in memory before.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Protocol

from pytest_asgi.adapters.sqlite.image import (
    CHUNK_BYTES,
    Image,
    cookie_of,
    counter_of,
    is_with_wal,
    page_size_of,
    without_wal,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_HEADER_BYTES = 100
_IN_USE = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


class InUseError(Exception):
    """Somebody is in the middle of reading or writing, so that nothing can be put."""


class Medium(Protocol):
    """Where one database is."""

    @property
    def uri(self) -> str:
        """What connections open."""

    @property
    def keeper(self) -> OwnConnection:
        """Our own connection to it; nothing is written through it but by `put`."""

    def version(self) -> object:
        """Return something that is another one after each commit."""

    def read(self) -> Image:
        """Return all there is; inside of a transaction of the keeper."""

    def compare(self, image: Image) -> tuple[Iterable[int], int]:
        """Return which pages of `image` differ, and the cookie there is; like `read`."""

    def put(self, image: Image, *, milliseconds: int) -> object:
        """Replace all there is; the image gets the cookie that it has then.

        Args:
            image: What is to be there.
            milliseconds: How long to wait for others to come to an end.

        Returns:
            The version that there is then.

        Raises:
            InUseError: Somebody is in the middle of reading or writing.
        """

    def close(self) -> None:
        """Remove it."""


class PageFile:
    """A file of our own that holds a database, read and written without SQLite.

    SQLite's locks are the process's own: to close any handle of the file would drop them all. So
    this one stays open as long as the file is in use.

    Args:
        path: The file; it is made if it is not there.
        content: What it holds at first.
    """

    def __init__(self, path: Path, content: bytes = b"") -> None:
        self.path = path
        self._handle = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o600)
        if content:
            self._write(0, content)

    def read_header(self) -> bytes:
        """Return the header, or nothing if nothing has been written."""
        return self._read(0, _HEADER_BYTES)

    def read(self) -> Image:
        """Return all there is."""
        return Image(self._read(0, os.fstat(self._handle).st_size))

    def overwrite(self, image: Image, current: bytes) -> bytes:
        """Write the pages that differ from those of `image`; nobody else is using the file.

        Args:
            image: What is to be there.
            current: The first chunk that is there now.

        Returns:
            The first page that is there then.
        """
        if not current:
            self._write(0, image.content)
            return image.content[: image.page_size]
        first = image.first_page(current[: page_size_of(current)])
        for page in image.differing_pages(self.chunks(current)):
            if page > 1:
                place = (page - 1) * image.page_size
                self._write(place, image.content[place : place + image.page_size])
        self._write(0, first)
        size = max(len(image.content), len(first))
        if size < len(current) or (
            len(current) == CHUNK_BYTES and size < os.fstat(self._handle).st_size
        ):
            os.ftruncate(self._handle, size)
        return first

    def first_chunk(self) -> bytes:
        """Return the first chunk of the content."""
        return self._read(0, CHUNK_BYTES)

    def chunks(self, first: bytes) -> Iterator[bytes]:
        """Yield the content in chunks, of which the first has been read already."""
        yield first
        chunk, start = first, 0
        while len(chunk) == CHUNK_BYTES:
            start += CHUNK_BYTES
            chunk = self._read(start, CHUNK_BYTES)
            yield chunk

    def close(self) -> None:
        """Remove the file, and what SQLite keeps beside it."""
        os.close(self._handle)
        for beside in ("", "-journal", "-wal", "-shm"):
            self.path.with_name(self.path.name + beside).unlink(missing_ok=True)

    def _read(self, start: int, size: int) -> bytes:
        os.lseek(self._handle, start, os.SEEK_SET)
        return os.read(self._handle, size)

    def _write(self, start: int, content: bytes) -> None:
        os.lseek(self._handle, start, os.SEEK_SET)
        os.write(self._handle, content)


class FileMedium:
    """A database in a file of our own.

    Args:
        path: The file; it is made if it is not there.
        content: What it holds at first.
    """

    def __init__(self, path: Path, content: bytes = b"") -> None:
        self._file = PageFile(path, content)
        self.uri = path.as_uri()
        self.keeper = OwnConnection(self.uri)

    def version(self) -> object:
        """Return the counter of the file, or what the keeper says if the file does not tell."""
        header = self._file.read_header()
        if is_with_wal(header):
            return "wal", self.keeper.execute("PRAGMA data_version").fetchone()[0]
        return _version_of(header)

    def read(self) -> Image:
        """Return all there is."""
        if is_with_wal(self._file.read_header()):
            return _read_through(self.keeper)
        return self._file.read()

    def compare(self, image: Image) -> tuple[Iterable[int], int]:
        """Return which pages of `image` differ, and the cookie there is."""
        first = self._file.first_chunk()
        if is_with_wal(first):
            return _compare_through(self.keeper, image)
        return image.differing_pages(self._file.chunks(first)), cookie_of(first)

    def put(self, image: Image, *, milliseconds: int) -> object:
        """Write the pages that differ, while nobody else may read or write."""
        try:
            self.keeper.wait_at_most(milliseconds).execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            if is_in_use(error):
                raise InUseError from error
            raise
        try:
            current = self._file.first_chunk()
            if not is_with_wal(current):
                if image.cookie != cookie_of(current):
                    # One that no other schema has had: then it always means the same schema.
                    image.cookie = cookie_of(current) + 1
                return _version_of(self._file.overwrite(image, current))
        finally:
            self.keeper.execute("ROLLBACK")
        # The pages that others have read from the file beside it would not be forgotten.
        _copy_into(self.keeper, image, milliseconds)
        return self.version()

    def close(self) -> None:
        """Close and remove the file."""
        self.keeper.close()
        self._file.close()


class MemoryMedium:
    """A database in memory that connections of this process reach by a name.

    Args:
        name: The name; no file has it.
        content: What it holds at first.
    """

    def __init__(self, name: str, content: bytes = b"") -> None:
        self.uri = f"file:/{name}?vfs=memdb"
        self.keeper = OwnConnection(self.uri)
        if content:
            _copy_into(self.keeper, Image(content), 0)

    def version(self) -> object:
        """Return what the keeper says."""
        return self.keeper.execute("PRAGMA data_version").fetchone()[0]

    def read(self) -> Image:
        """Return all there is."""
        return _read_through(self.keeper)

    def compare(self, image: Image) -> tuple[Iterable[int], int]:
        """Return which pages of `image` differ, and the cookie there is."""
        return _compare_through(self.keeper, image)

    def put(self, image: Image, *, milliseconds: int) -> object:
        """Copy all pages."""
        _copy_into(self.keeper, image, milliseconds)
        return self.version()

    def close(self) -> None:
        """Let go of it; it is gone when the last connection is."""
        self.keeper.close()


class OwnConnection(sqlite3.Connection):
    """A connection of our own, which no redirect sees."""

    def __init__(self, uri: str) -> None:
        super().__init__(uri, isolation_level=None, check_same_thread=False, uri=True)
        # A text that is no UTF-8 can be stored; it is to be compared and shown, not to fail.
        self.text_factory = lambda text: text.decode("utf-8", "surrogateescape")
        self._milliseconds = -1

    def wait_at_most(self, milliseconds: int) -> OwnConnection:
        """Say how long to wait when others are reading or writing."""
        if milliseconds != self._milliseconds:
            self.execute(f"PRAGMA busy_timeout = {milliseconds}")
            self._milliseconds = milliseconds
        return self

    def cookie(self) -> int:
        """Return what is another one after each change of the schema."""
        return int(self.execute("PRAGMA schema_version").fetchone()[0])


def _version_of(header: bytes) -> object:
    return bool(header), counter_of(header)


def is_in_use(error: sqlite3.OperationalError) -> bool:
    """Tell whether it was somebody else who is in the middle of reading or writing."""
    return error.sqlite_errorcode & 0xFF in _IN_USE


def _read_through(connection: OwnConnection) -> Image:
    is_empty = connection.execute("PRAGMA page_count").fetchone()[0] == 0
    return Image(b"" if is_empty else connection.serialize())


def _compare_through(connection: OwnConnection, image: Image) -> tuple[Iterable[int], int]:
    now = _read_through(connection)
    return image.differing_pages(now.chunks()), now.cookie


def _copy_into(connection: OwnConnection, image: Image, milliseconds: int) -> None:
    def stop_if_in_use(status: int, _: int, __: int) -> None:
        if status in _IN_USE:  # else it would be tried for ever
            raise InUseError

    connection.wait_at_most(milliseconds)
    with closing(sqlite3.Connection(":memory:")) as source:
        if image.content:
            source.deserialize(without_wal(image.content))  # in memory there is none
        source.backup(connection, progress=stop_if_in_use, sleep=0)
    image.cookie = connection.cookie()

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

    def put(self, image: Image, *, milliseconds: int) -> None:
        """Replace all there is; the image gets the cookie that it has then.

        Args:
            image: What is to be there.
            milliseconds: How long to wait for others to come to an end.

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

    def overwrite(self, image: Image, cookie: int) -> None:
        """Write the pages that differ from those of `image`; nobody else is using the file.

        Args:
            image: What is to be there.
            cookie: Which cookie to give it.
        """
        header = self.read_header()
        if not header:
            self._write(0, image.content)
            return
        first = image.first_page(self._read(0, page_size_of(header)), cookie)
        for page in image.differing_pages(self.chunks()):
            if page > 1:
                place = (page - 1) * image.page_size
                self._write(place, image.content[place : place + image.page_size])
        self._write(0, first)
        size = max(len(image.content), len(first))
        if size < os.fstat(self._handle).st_size:
            os.ftruncate(self._handle, size)

    def chunks(self) -> Iterator[bytes]:
        """Yield the content in chunks."""
        start = 0
        while chunk := self._read(start, CHUNK_BYTES):
            yield chunk
            start += CHUNK_BYTES

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
        return len(header), counter_of(header)

    def read(self) -> Image:
        """Return all there is."""
        if is_with_wal(self._file.read_header()):
            return _read_through(self.keeper)
        return self._file.read()

    def compare(self, image: Image) -> tuple[Iterable[int], int]:
        """Return which pages of `image` differ, and the cookie there is."""
        header = self._file.read_header()
        if is_with_wal(header):
            return _compare_through(self.keeper, image)
        return image.differing_pages(self._file.chunks()), cookie_of(header)

    def put(self, image: Image, *, milliseconds: int) -> None:
        """Write the pages that differ, while nobody else may read or write."""
        if is_with_wal(self._file.read_header()):
            # The pages that others have read from the file beside it would not be forgotten.
            _copy_into(self.keeper, image, milliseconds)
            return
        try:
            self.keeper.wait_at_most(milliseconds).execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            raise _in_use(error) from error
        try:
            current = cookie_of(self._file.read_header())
            if image.cookie != current:
                # One that no other schema has had: then it always means the same schema.
                image.cookie = current + 1
            self._file.overwrite(image, image.cookie)
        finally:
            self.keeper.execute("ROLLBACK")

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

    def put(self, image: Image, *, milliseconds: int) -> None:
        """Copy all pages."""
        _copy_into(self.keeper, image, milliseconds)

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


def _in_use(error: sqlite3.OperationalError) -> Exception:
    return InUseError() if error.sqlite_errorcode & 0xFF in _IN_USE else error

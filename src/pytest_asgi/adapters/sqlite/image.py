"""The bytes of a whole SQLite database: its header, its pages, and to which table each belongs.

Only this module knows the file format; the sections of https://sqlite.org/fileformat2.html that
it follows are named. It opens nothing.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# How much is compared at once: whole pages, of any size, and little enough to stay in the cache.
CHUNK_BYTES = 65536

# 1.3 The Database Header
_HEADER_BYTES = 100
_PAGE_SIZE_AT = 16
_FORMATS = slice(18, 20)
_COUNTER = slice(24, 28)
_PAGES = slice(28, 32)
_FIRST_TRUNK_AT = 32
_FREE_PAGES = slice(32, 40)
_COOKIE = slice(40, 44)
_USER_VERSION = slice(60, 64)
_APPLICATION = slice(68, 72)
_VALID_FOR = slice(92, 96)
_ROLLBACK_FORMATS = b"\1\1"
_WAL_FORMAT = 2
_LARGEST_PAGE = 65536  # is written as 1: it does not fit into two bytes

# 1.6 B-tree Pages
_INTERIORS = (2, 5)
_TABLE_LEAF = 13
_LEAF_HEADER_BYTES = 8
_INTERIOR_HEADER_BYTES = 12


class Image:
    """A whole database, as it was at some moment; of no bytes if nothing had been written yet.

    Args:
        content: All pages, in the order of their numbers.

    Attributes:
        content: All pages, in the order of their numbers.
        page_size: How many bytes a page has.
        cookie: Changes with every change of the schema.
    """

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.page_size = page_size_of(content)
        self.cookie = cookie_of(content)
        self._owners: dict[int, int] | None = None

    def first_page(self, current: bytes) -> bytes:
        """Return the first page to put in the place of another, so that nobody takes it for older.

        A connection believes what it has in memory as long as the counter has not changed, and
        what it knows of the schema as long as the cookie has not.

        Args:
            current: The first page that is there now.
        """
        page = self.content[: self.page_size] or _without_tables(current)
        header = bytearray(page[:_HEADER_BYTES])
        header[_COUNTER] = header[_VALID_FOR] = _bytes_of(counter_of(current) + 1)
        header[_COOKIE] = _bytes_of(self.cookie)
        return bytes(header) + page[_HEADER_BYTES:]

    def differing_pages(self, chunks: Iterable[bytes]) -> Iterator[int]:
        """Yield the numbers of the pages that are others in another content, or not there.

        Args:
            chunks: The other content, as long as there is some; all but the last are full.
        """
        others = iter(chunks)
        for start in range(0, len(self.content), CHUNK_BYTES):
            chunk = next(others, b"")
            if len(chunk) < CHUNK_BYTES or not self.content.startswith(chunk, start):
                yield from self._differing_pages(chunk, start)

    def chunks(self) -> Iterator[bytes]:
        """Yield the content in chunks."""
        for start in range(0, len(self.content), CHUNK_BYTES):
            yield self.content[start : start + CHUNK_BYTES]

    def _differing_pages(self, chunk: bytes, start: int) -> Iterator[int]:
        content, size = self.content, self.page_size
        for place in range(start, min(start + CHUNK_BYTES, len(content)), size):
            if not chunk.startswith(content[place : place + size], place - start):
                yield place // size + 1

    def roots_of(self, pages: Iterable[int], roots: Iterable[int]) -> set[int] | None:
        """Return in which of the trees, given by their roots, some of the pages lie.

        Returns:
            The roots; `None` if a page is in none of them: part of a long row.
        """
        pages, roots = set(pages), set(roots)
        found = roots & pages
        unknown = pages - found - {1}
        if unknown:
            owners = self._pages_owned_by(roots)
            if not owners.keys() >= unknown:
                return None
            found |= {owners[page] for page in unknown}
        return found - {0}

    def _pages_owned_by(self, roots: set[int]) -> dict[int, int]:
        if self._owners is None:
            # The first page is the root of the schema's own tree.
            self._owners = dict.fromkeys((*self._free_pages(), *self._pages_below(1)), 0)
            for root in roots:
                self._owners.update(dict.fromkeys(self._pages_below(root), root))
        return self._owners

    def _pages_below(self, page: int) -> Iterator[int]:
        start = (page - 1) * self.page_size
        head = start + (_HEADER_BYTES if page == 1 else 0)
        if self.content[head] not in _INTERIORS:
            return
        (cells,) = struct.unpack_from(">H", self.content, head + 3)
        (last,) = struct.unpack_from(">I", self.content, head + 8)
        places = struct.unpack_from(f">{cells}H", self.content, head + _INTERIOR_HEADER_BYTES)
        children = [struct.unpack_from(">I", self.content, start + place)[0] for place in places]
        for child in (*children, last):
            yield child
            yield from self._pages_below(child)

    def _free_pages(self) -> Iterator[int]:
        # 1.5 The Freelist
        (trunk,) = struct.unpack_from(">I", self.content, _FIRST_TRUNK_AT)
        while trunk:
            yield trunk
            start = (trunk - 1) * self.page_size
            trunk, leaves = struct.unpack_from(">2I", self.content, start)
            yield from struct.unpack_from(f">{leaves}I", self.content, start + 8)


def is_with_wal(header: bytes) -> bool:
    """Tell whether a database with this header keeps what was written in a file beside it."""
    return _WAL_FORMAT in header[_FORMATS]


def without_wal(content: bytes) -> bytes:
    """Return the content of a database that is the same but keeps no such file."""
    if not is_with_wal(content):
        return content
    return content[: _FORMATS.start] + _ROLLBACK_FORMATS + content[_FORMATS.stop :]


def cookie_of(header: bytes) -> int:
    """Return what changes with every change of the schema."""
    return _number(header[_COOKIE])


def counter_of(header: bytes) -> int:
    """Return what changes with every commit."""
    return _number(header[_COUNTER])


def _without_tables(first_page: bytes) -> bytes:
    """Return the only page of a database that has no tables, and is else like that of the page."""
    header = bytearray(first_page[:_HEADER_BYTES])
    header[_PAGES] = _bytes_of(1)
    header[_FREE_PAGES] = bytes(8)
    header[_USER_VERSION] = header[_APPLICATION] = bytes(4)
    content_at = len(first_page) % _LARGEST_PAGE
    leaf = struct.pack(">BHHHB", _TABLE_LEAF, 0, 0, content_at, 0)
    rest = len(first_page) - _HEADER_BYTES - _LEAF_HEADER_BYTES
    return bytes(header) + leaf + bytes(rest)


def page_size_of(header: bytes) -> int:
    """Return how many bytes a page has; the chunk's size if nothing has been written yet."""
    if not header:
        return CHUNK_BYTES
    (size,) = struct.unpack_from(">H", header, _PAGE_SIZE_AT)
    return _LARGEST_PAGE if size == 1 else int(size)


def _number(four_bytes: bytes) -> int:
    return int.from_bytes(four_bytes, "big")


def _bytes_of(number: int) -> bytes:
    return (number % (1 << 32)).to_bytes(4, "big")

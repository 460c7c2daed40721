"""A MongoDB server out of the package `mongoeco`: a program of its own, with one folder.

It writes its address into the folder as soon as it answers.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

ADDRESS = "address"


async def serve(folder: Path) -> None:
    """Answer clients until somebody ends this process."""
    from mongoeco.engines.memory import MemoryEngine
    from mongoeco.wire import AsyncMongoEcoProxyServer

    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    server = AsyncMongoEcoProxyServer(engine=MemoryEngine(), pymongo_profile="auto-installed")
    address = await server.start()
    written = folder / f"{ADDRESS}.new"
    written.write_text(address.uri, encoding="ascii")
    written.rename(folder / ADDRESS)
    await ended.wait()
    await server.close()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1])))

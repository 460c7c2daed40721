"""Whether there is a MongoDB for tests: where there is none, they are not collected."""

from __future__ import annotations

import os
import shutil
import sys

# The server that comes as a package needs Python 3.13.
HAS_MONGODB = (
    sys.version_info >= (3, 13)
    or "MONGODB_URL" in os.environ
    or shutil.which("mongod") is not None
)

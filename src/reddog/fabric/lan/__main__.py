"""``python -m reddog.fabric.lan``: serve the private network whose directory this is."""

import asyncio
import os
from pathlib import Path

from reddog.fabric._process import PIDFILE
from reddog.fabric.lan._server import Server

if __name__ == "__main__":
    Path(PIDFILE).write_text(str(os.getpid()))
    asyncio.run(Server().run())

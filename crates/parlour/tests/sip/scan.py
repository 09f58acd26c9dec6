"""One of sipvicious' programs, perhaps under another User-Agent than the one that everybody knows.

scan.py AGENT svmap|svwar|svcrack ARGUMENTS
"""

import importlib
import socket
import sys

from sipvicious.libs import svhelper

# It waits ten seconds for the last answer.
patience = socket.socket.settimeout
socket.socket.settimeout = lambda self, seconds: patience(self, seconds and min(seconds, 0.5))

agent, name = sys.argv[1:3]
svhelper.makeRequest.__defaults__ = tuple(
    agent if default == "friendly-scanner" else default for default in svhelper.makeRequest.__defaults__
)
sys.argv[0:3] = [name]
sys.exit(importlib.import_module("sipvicious." + name).main())

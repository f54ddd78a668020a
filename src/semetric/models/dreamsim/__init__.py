"""DreamSim's networks: the published variants, the files that hold them, and the network itself.

`variants` and `files` need no torch; `network` does. Nothing is imported here.
"""

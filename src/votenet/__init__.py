"""votenet: a voting network on machines that the voters' own organisation controls.

What lives here: the version. What must not: imports of the packages below, so that
`import votenet` and the command line stay fast. `docs/architecture.md` is the map.
"""

__version__ = "0.1.0"

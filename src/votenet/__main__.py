"""`python -m votenet`: the same program as the `votenet` command, for supervisors and containers."""

from votenet.cli.main import run

if __name__ == "__main__":
    run()

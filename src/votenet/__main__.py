"""`python -m votenet`: the same program as the `votenet` command, for supervisors and containers."""

import gc

from votenet.cli.stop_signals import hear_as_process_1


def main() -> None:
    """Hear signals first: importing the commands takes a while, and a tenth less if nothing is collected."""
    hear_as_process_1()
    gc.set_threshold(20_000)
    from votenet.cli.main import run

    run()


if __name__ == "__main__":
    main()

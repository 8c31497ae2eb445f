"""``python -m convexgan`` is the command ``convexgan``."""

from convexgan.cli import main

if __name__ == "__main__":
    main()

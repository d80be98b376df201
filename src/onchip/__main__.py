"""`python -m onchip`."""

from onchip.cli import main

if __name__ == "__main__":
    main()

"""`python -m flowlord`: the same as the command `flowlord`."""

from flowlord.cli.main import main

if __name__ == "__main__":
    main()

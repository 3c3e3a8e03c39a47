"""`python -m flynn.cli`: the command line without its script."""

from flynn.cli.commands import main

main()

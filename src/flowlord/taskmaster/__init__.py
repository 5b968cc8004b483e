"""The daemon: decides with the pure core, lands plans on the bus, owns clock, chance, signals and threads."""

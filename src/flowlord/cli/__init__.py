"""One thin module per command, one module for all printing. Bodies import what they use: start-up stays short."""

"""The bus: the port, its adapters and how one is opened by its address."""

"""From text to workflows: TOML and YAML with the place of every key and value, checks with codes."""

"""Hardware descriptions that ship with eeaug (YAML, read by eeaug.hardware)."""

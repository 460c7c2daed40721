"""Optional dependencies: one file each, imported on demand."""

"""Packages that train or show: what records their runs, and what is written for them. Each is an extra, imported where it is used."""

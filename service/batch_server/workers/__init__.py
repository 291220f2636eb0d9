"""Where recognition runs: worker processes on this machine, or a Dask cluster."""

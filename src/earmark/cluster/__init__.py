"""Work given to the workers of a Dask cluster, whatever happens to them."""

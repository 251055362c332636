"""The development stack: everything that Carillon needs, on one machine and in one folder."""

"""What Carillon costs, beside a bare Temporal workflow on the same server in the same run."""

"""The notebook: dashboards, receipts, cards and magics, on runs and their snapshots."""

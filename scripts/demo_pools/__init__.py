"""The demo of the accelerator slots: `make demo-pools`."""

"""Providers' batch APIs: half price, answers within a day, runs that outlive the kernel."""

"""Virtual cards kept in a folder: made with the test authority, run by the simulator."""

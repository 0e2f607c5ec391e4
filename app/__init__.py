"""The application: window, docks, menus, command line. Puts widgets together and talks to the engine by messages."""

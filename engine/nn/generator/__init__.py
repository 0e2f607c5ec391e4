"""What every model that turns codes into pictures can be asked, whatever it learned from."""

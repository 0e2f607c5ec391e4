"""The hand's side of the window: sliders, number fields, pickers and the forms made of them. Knows no study."""

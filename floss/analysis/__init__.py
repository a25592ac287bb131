"""`floss spectrum` and `floss condition`: networks looked at before and after flossing, tens of them at once."""

"""The paper, figure by figure: which runs each needs, what was found, what it claims, and the page that shows both."""

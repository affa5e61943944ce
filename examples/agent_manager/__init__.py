"""An Agent Manager: a small service that runs agents as processes, and does nothing that its audit log does not have.

It shows how an application uses auditseal: every order is recorded before it is carried out, every outcome before it is
answered, and everything that the manager only sees (an agent that ended, that fell silent) before it is shown as so.

Source: `docs/how-to/record-an-agent-manager.md`.
"""

"""What ./deploy.sh does: from an empty account to a job that has run.

No step keeps a note of its own. Each looks at the account, so a deployment that broke off anywhere is simply
started again, and one that changes nothing does nothing.
"""

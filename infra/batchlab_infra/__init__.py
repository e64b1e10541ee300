"""The CDK app. It comes with the AWS stack; nothing is deployed by this version."""

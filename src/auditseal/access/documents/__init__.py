"""Reading policies, keys and trails out of JSON, CloudFormation and Terraform, with their places."""

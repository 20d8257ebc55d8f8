"""The method for any `problems.problem.Problem`: pretrain, fine-tune, certify."""

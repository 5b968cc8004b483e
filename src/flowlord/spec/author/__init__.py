"""What only authors of workflow files need: further checks, ignore comments, fixes. A daemon never imports it."""

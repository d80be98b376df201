"""What every data set is made of: splits, where they are kept, how they are drawn."""

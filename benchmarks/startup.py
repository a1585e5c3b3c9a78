"""`hfcli --help` against `transformers --help`: at most one eighth of the time."""

from _alternate import alternate, command, tool

ratio = alternate("hfcli --help", command(tool("hfcli"), "--help"), command(tool("transformers"), "--help"), times=7)
print(f"1/{1 / ratio:.1f} of transformers --help (the aim is 1/8 or less)")

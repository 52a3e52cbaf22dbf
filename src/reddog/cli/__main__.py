from reddog.cli import main

main()

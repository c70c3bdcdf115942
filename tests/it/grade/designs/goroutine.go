// A goroutine for each client: go run goroutine.go HOST PORT
package main

import (
	"bufio"
	"fmt"
	"net"
	"os"
)

func talk(client net.Conn) {
	defer client.Close()
	for lines := bufio.NewScanner(client); lines.Scan(); {
		var a, b int
		var operator string
		n, _ := fmt.Sscanf(lines.Text(), "%d %s %d", &a, &operator, &b)
		switch {
		case n == 3 && operator == "+":
			fmt.Fprintln(client, a+b)
		case n == 3 && operator == "-":
			fmt.Fprintln(client, a-b)
		case n == 3 && operator == "*":
			fmt.Fprintln(client, a*b)
		case n == 3 && operator == "/" && b != 0:
			fmt.Fprintln(client, a/b)
		default:
			fmt.Fprintln(client, "error")
		}
	}
}

func main() {
	listener, err := net.Listen("tcp", net.JoinHostPort(os.Args[1], os.Args[2]))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	for {
		if client, err := listener.Accept(); err == nil {
			go talk(client)
		}
	}
}

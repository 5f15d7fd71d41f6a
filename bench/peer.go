// Measures Go's os/exec on request: a line "spawn 0 PATH", "capture BYTES PATH" or "hold BYTES -" gets a line of nanoseconds.
package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"runtime/debug"
	"strconv"
	"strings"
	"time"
)

var held []byte

func do(verb, number, path string) error {
	switch verb {
	case "spawn":
		return exec.Command(path).Run()
	case "capture":
		out, err := exec.Command(path, "--child", "write", number).Output()
		if err == nil && strconv.Itoa(len(out)) != number {
			return fmt.Errorf("bytes missing")
		}
		return err
	}
	size, err := strconv.Atoi(number)
	held = nil
	debug.FreeOSMemory()
	held = make([]byte, size)
	for i := 0; i < size; i += 4096 {
		held[i] = 1
	}
	return err
}

func main() {
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		words := strings.SplitN(in.Text(), " ", 3)
		start := time.Now()
		err := do(words[0], words[1], words[2])
		taken := time.Since(start)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Println(taken.Nanoseconds())
	}
}

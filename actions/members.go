package actions

import "fmt"

func memberName(name string, id uint64) string {
	if name == "" {
		return fmt.Sprintf("Member %x", id)
	}
	return fmt.Sprintf("Member %s (%x)", name, id)
}

package main

import (
	"context"
	"database/sql"
	"time"

	_ "github.com/microsoft/go-mssqldb" // the driver "sqlserver"
	"golang.org/x/sync/errgroup"
)

// What the bare client of a whole company decodes: the fields that Posture reads.

type listedAttribute struct {
	Name   string   `json:"name"`
	Values []string `json:"values"`
}

type listedOwner struct {
	ID       string `json:"id"`
	UDID     string `json:"udid"`
	Location struct {
		Username string `json:"username"`
		RealName string `json:"realname"`
		Email    string `json:"email"`
	} `json:"userAndLocation"`
}

type listedComputer struct {
	listedOwner
	General struct {
		Name       string            `json:"name"`
		Platform   string            `json:"platform"`
		ReportDate time.Time         `json:"reportDate"`
		Attributes []listedAttribute `json:"extensionAttributes"`
	} `json:"general"`
	Hardware struct {
		Make       string            `json:"make"`
		Model      string            `json:"model"`
		Serial     string            `json:"serialNumber"`
		MAC        string            `json:"macAddress"`
		AltMAC     string            `json:"altMacAddress"`
		Attributes []listedAttribute `json:"extensionAttributes"`
	} `json:"hardware"`
	System struct {
		Name    string `json:"name"`
		Version string `json:"version"`
		Build   string `json:"build"`
	} `json:"operatingSystem"`
	Purchasing struct {
		Date string `json:"poDate"`
	} `json:"purchasing"`
	Storage struct {
		Disks []struct {
			Partitions []struct {
				Name    string `json:"name"`
				Type    string `json:"partitionType"`
				State   string `json:"fileVault2State"`
				Percent int64  `json:"fileVault2ProgressPercent"`
			} `json:"partitions"`
		} `json:"disks"`
	} `json:"storage"`
	Applications []struct {
		Name    string `json:"name"`
		Version string `json:"version"`
	} `json:"applications"`
	Services []struct {
		Name string `json:"name"`
	} `json:"services"`
	Updates []struct {
		Name string `json:"name"`
	} `json:"softwareUpdates"`
	Attributes []listedAttribute `json:"extensionAttributes"`
}

type listedUser struct {
	ID    int64  `json:"id"`
	Email string `json:"email"`
	Name  string `json:"name"`
}

type listedAsset struct {
	ID     int64       `json:"id"`
	Name   string      `json:"name"`
	Model  string      `json:"model"`
	Serial string      `json:"serial_number"`
	Type   bitfitLabel `json:"type"`
	Status bitfitLabel `json:"customerStatus"`
	Image  string      `json:"image_url"`
	Photo  int64       `json:"photo_id"`
	Fields []struct {
		Name  string `json:"base_name"`
		Value string `json:"value"`
	} `json:"fields"`
	User listedUser `json:"user"`
}

type listedAccount struct {
	Email string `json:"primaryEmail"`
	Name  struct {
		Full string `json:"fullName"`
	} `json:"name"`
	Suspended bool `json:"suspended"`
	Archived  bool `json:"archived"`
}

type listedPhone struct {
	ID          string    `json:"resourceId"`
	Device      string    `json:"deviceId"`
	Email       []string  `json:"email"`
	Serial      string    `json:"serialNumber"`
	IMEI        string    `json:"imei"`
	MEID        string    `json:"meid"`
	MAC         string    `json:"wifiMacAddress"`
	Model       string    `json:"model"`
	Maker       string    `json:"manufacturer"`
	OS          string    `json:"os"`
	Type        string    `json:"type"`
	Status      string    `json:"status"`
	LastSync    time.Time `json:"lastSync"`
	Compromised string    `json:"deviceCompromisedStatus"`
	Encryption  string    `json:"encryptionStatus"`
	ADB         bool      `json:"adbStatus"`
	Developer   bool      `json:"developerOptionsStatus"`
	Unknown     bool      `json:"unknownSourcesStatus"`
	Patch       string    `json:"securityPatchLevel"`
}

type listedBook struct {
	ID       string    `json:"deviceId"`
	Serial   string    `json:"serialNumber"`
	User     string    `json:"annotatedUser"`
	Status   string    `json:"status"`
	LastSync time.Time `json:"lastSync"`
	Model    string    `json:"model"`
	Version  string    `json:"osVersion"`
	MAC      string    `json:"macAddress"`
	Boot     string    `json:"bootMode"`
	Recent   []struct {
		Email string `json:"email"`
	} `json:"recentUsers"`
}

type listedLinux struct {
	Email       string    `json:"email"`
	Name        string    `json:"name"`
	Model       string    `json:"model"`
	Serial      string    `json:"serial"`
	OS          string    `json:"os"`
	Version     string    `json:"os_version"`
	LastSync    time.Time `json:"last_sync"`
	Identifiers struct {
		Serial string   `json:"serial"`
		UDID   string   `json:"udid"`
		MACs   []string `json:"mac_addresses"`
	} `json:"identifiers"`
	Practices map[string]struct {
		Value   bool      `json:"value"`
		Updated time.Time `json:"last_updated"`
	} `json:"practices"`
}

type activities struct {
	Items []struct {
		ID struct {
			Time time.Time `json:"time"`
		} `json:"id"`
		Actor struct {
			Email string `json:"email"`
		} `json:"actor"`
		Address string `json:"ipAddress"`
		Events  []struct {
			Type       string           `json:"type"`
			Name       string           `json:"name"`
			Parameters []map[string]any `json:"parameters"`
		} `json:"events"`
	} `json:"items"`
}

type usageReports struct {
	Reports []struct {
		Date       string           `json:"date"`
		Parameters []map[string]any `json:"parameters"`
	} `json:"usageReports"`
}

type hits struct {
	Hits struct {
		Hits []struct {
			ID     string         `json:"_id"`
			Source map[string]any `json:"_source"`
		} `json:"hits"`
	} `json:"hits"`
}

const landeskPage = 500

// database gives LANDESK's database.
func (l *lister) database() (*sql.DB, error) { return sql.Open("sqlserver", l.landesk) }

func (l *lister) landeskUsers(ctx context.Context) error {
	db, err := l.database()
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	for after := ""; ; {
		n := 0
		err := eachRow(ctx, db, 1, func(cells []any) {
			n++
			after, _ = cells[0].(string)
		}, "SELECT DISTINCT TOP (@p1) t.EMAILADDR FROM LDAPUserAttrV t WHERE t.EMAILADDR > @p2 ORDER BY t.EMAILADDR", int64(landeskPage), after)
		l.records.Add(int64(n))
		if err != nil || n < landeskPage {
			return err
		}
	}
}

// landeskComputers reads the computers, a page at a time and the tables of a page
// side by side, as the source does.
func (l *lister) landeskComputers(ctx context.Context) error {
	db, err := l.database()
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	for after := int64(-1); ; {
		last, n := after, 0
		err := eachRow(ctx, db, 1, func(cells []any) {
			n++
			last, _ = cells[0].(int64)
		}, "SELECT TOP (@p1) t.Computer_Idn FROM Computer t WHERE t.Computer_Idn > @p2 ORDER BY t.Computer_Idn", int64(landeskPage), after)
		if err != nil || n == 0 {
			return err
		}
		group, ctx := errgroup.WithContext(ctx)
		for _, q := range []struct {
			text    string
			columns int
		}{
			{`SELECT t.Computer_Idn, u.EMAILADDR, t.DISPLAYNAME, t.DEVICEID, t.TYPE, t.LASTUPDINVSVR, t.HWLASTSCANDATE, t.SWLASTSCANDATE, ` +
				`s.MODEL, s.MANUFACTURER, s.SERIALNUM, s.SYSTEMVERSION, b.PROTECTIONSTATUS, b.CONVERSIONSTATUS, b.GENENCRYPT, b.ENCRYPTIONPERCENTAGE, ` +
				`n.CURRENTBUILD, n.CURRENTVERSION, n.RELEASEID, o.OSTYPE FROM Computer t ` +
				`LEFT JOIN LDAPUserAttrV u ON u.Computer_Idn = t.Computer_Idn LEFT JOIN CompSystem s ON s.Computer_Idn = t.Computer_Idn ` +
				`LEFT JOIN BitLocker b ON b.Computer_Idn = t.Computer_Idn LEFT JOIN OSNT n ON n.Computer_Idn = t.Computer_Idn ` +
				`LEFT JOIN Operating_System o ON o.Computer_Idn = t.Computer_Idn`, 20},
			{"SELECT t.Computer_Idn, t.Vul_ID, t.VulType, t.VulSeverity, t.Title, t.Reason FROM CVDetectedV t", 6},
			{"SELECT t.Computer_Idn, t.PhysAddress, t.FirewallEnabled FROM BoundAdapter t", 3},
			{"SELECT t.Computer_Idn, t.SuiteName, t.Version, t.Publisher, t.InstallDate FROM AppSoftwareSuites t", 5},
		} {
			group.Go(func() error {
				return eachRow(ctx, db, q.columns, func([]any) {}, q.text+" WHERE t.Computer_Idn > @p1 AND t.Computer_Idn <= @p2", after, last)
			})
		}
		if err := group.Wait(); err != nil {
			return err
		}
		l.records.Add(int64(n))
		after = last
	}
}

func eachRow(ctx context.Context, db *sql.DB, columns int, visit func(cells []any), query string, args ...any) error {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	cells, into := make([]any, columns), make([]any, columns)
	for i := range cells {
		into[i] = &cells[i]
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return err
		}
		visit(cells)
	}
	return rows.Err()
}
